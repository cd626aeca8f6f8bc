"""What people look at: the result table, contact sheets, report.html."""
