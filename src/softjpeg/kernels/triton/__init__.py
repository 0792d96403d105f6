"""The fused layer on CUDA, in Triton."""
