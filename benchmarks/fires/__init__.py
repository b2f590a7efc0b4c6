"""Whole-platform figures: fires per second, lag, CPU per fire by process, memory."""
