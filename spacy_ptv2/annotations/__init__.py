"""Where the inputs and the results of tasks are kept on a Doc: extension attributes and span groups, nothing else."""
