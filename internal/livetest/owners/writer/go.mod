module canvasback/internal/livetest/owners/writer

go 1.26.0

require canvasback/examples/hook v0.0.0

replace canvasback/examples/hook => ../../../../examples/hook
