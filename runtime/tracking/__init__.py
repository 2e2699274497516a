"""Which box is which thing from frame to frame, and what follows from that: lines crossed, time spent in a region."""
