"""Training: stages of phases over batches. Read loop.py first."""
