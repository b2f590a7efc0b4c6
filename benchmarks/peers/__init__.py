"""Other ways of firing webhooks on schedule, measured with the workloads and the receiver of `benchmarks.fires`."""
