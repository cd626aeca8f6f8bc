"""Pictures of any common kind, in and out, with what they hold besides colours."""
