"""What a flow needs before it can run: by the compiler that runs it, node by node, stored or not."""
