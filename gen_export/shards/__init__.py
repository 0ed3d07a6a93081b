"""Many images in shards: tar files in one folder, each one range of a seed's images, however the work is shared out."""
