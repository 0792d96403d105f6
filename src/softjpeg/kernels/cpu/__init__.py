"""The C kernels' bindings: shapes and types are checked here, before an address is passed on."""
