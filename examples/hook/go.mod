module canvasback/examples/hook

go 1.22
