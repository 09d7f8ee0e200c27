"""Papers that 'fairbench reproduce' reruns; what they report is in data files beside the modules."""
