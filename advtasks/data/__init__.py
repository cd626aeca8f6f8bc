"""Pictures from folders: found, decoded once into a memory-mapped cache, cropped, sampled resumably, checked."""
