"""`softjpeg serve`: images over HTTP, encoded by processes that no slow image can hold for long."""
