"""What models of each task answer, how two answers are compared, and what else an export does by the task."""
