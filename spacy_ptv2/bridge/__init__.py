"""Where Thinc meets torch: the shim that trains and saves an adapter, training passes, precomputed values."""
