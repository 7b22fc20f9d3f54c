"""Questions to a run or release: where a document went, what a step read, which texts hold a phrase."""
