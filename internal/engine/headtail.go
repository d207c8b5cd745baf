package engine

import "fmt"

// headTail keeps the first and the last bytes of what is written to it: a Go
// traceback says what happened in its first lines, an abort in its last.
type headTail struct {
	head, tail []byte
	dropped    int64
}

const keepHead, keepTail = 2 << 10, 2 << 10

func (h *headTail) Write(p []byte) (int, error) {
	n := len(p)
	if room := keepHead - len(h.head); room > 0 {
		room = min(room, len(p))
		h.head, p = append(h.head, p[:room]...), p[room:]
	}
	h.tail = append(h.tail, p...)
	if over := len(h.tail) - keepTail; over > 0 {
		h.dropped += int64(over)
		h.tail = append(h.tail[:0], h.tail[over:]...)
	}
	return n, nil
}

func (h *headTail) String() string {
	if h.dropped > 0 {
		return fmt.Sprintf("%s\n... %d bytes left out ...\n%s", h.head, h.dropped, h.tail)
	}
	return string(h.head) + string(h.tail)
}
