"""fallback: model files on this machine whatever the network does, every byte proven."""
