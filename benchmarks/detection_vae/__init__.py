"""What the autoencoder adds on four public machines, beside components and a peer."""
