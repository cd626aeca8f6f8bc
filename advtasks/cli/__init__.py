"""The command line: a dispatcher that imports no torch, and a short file for each verb."""
