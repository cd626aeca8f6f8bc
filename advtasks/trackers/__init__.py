"""Where metrics go. metrics.jsonl is always written and is the source of every plot."""

from advtasks.trackers.tracker import JsonLines, Tracker, read_records

__all__ = ["JsonLines", "Tracker", "read_records"]
