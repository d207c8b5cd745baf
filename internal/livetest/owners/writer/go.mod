module canvasback/internal/livetest/owners/writer

go 1.26.0
