"""Using trained image-to-image networks: decoding, tiles, encoding, batches of files."""
