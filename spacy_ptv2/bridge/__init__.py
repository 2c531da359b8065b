"""Where Thinc meets torch: the shim that trains and saves an adapter, training passes, values computed in advance."""
