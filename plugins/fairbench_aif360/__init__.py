"""AIF360's algorithms as methods: the library itself computes, on arrays of the harness."""
