"""Papers that 'fairbench reproduce' runs again; what they report lies as data beside the modules."""
