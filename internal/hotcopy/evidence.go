package hotcopy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"canvasback/internal/duckfile"
)

func (v *verdict) say(key, value string) { v.evidence[key] = value }

func (v *verdict) because(why string) { v.say("because", why) }

// byC sets rule C in one of its variants.
func (v *verdict) byC(variant, why string) {
	v.rule = "C"
	v.say("variant", variant)
	v.because(why)
}

// evidence is what every manifest records of a pass, before it is judged.
func (c *copier) evidence(p *pass) map[string]string {
	ev := map[string]string{
		"headers_sha256": p.Headers,
		"headers_before": headerBytes(p.view.head),
		"gate_waited":    p.waited.Round(time.Millisecond).String(),
	}
	if p.Main.Present {
		ev["wal_inode"] = strconv.FormatUint(p.Main.Inode, 10)
		ev["wal_prefix_bytes"] = strconv.FormatInt(p.Main.End, 10)
		ev["wal_prefix_sha256"] = p.Main.SHA256
	}
	if w := p.view.main.wal; w != nil && errors.Is(w.Tail, duckfile.ErrCorrupt) {
		ev["wal_left_out"] = "what is behind the prefix is no commit of it: " + w.Tail.Error()
	}
	if c.locked && c.ownerPID == 0 {
		ev["owner"] = "outside this PID namespace: whether it runs cannot be seen"
	}
	if p.stalled != quiet {
		ev["unfinished_checkpoint"] = p.stalled.String()
	}
	if p.resumed > 0 {
		ev["resumed"] = fmt.Sprintf("%s were copied by an earlier process", mega(p.resumed))
	}
	if p.cloned {
		ev["cloned"] = "the file system made the copy, in one step"
	}
	if v := c.engineVersion(); v != "" {
		ev["engine_version"] = v
	}
	return ev
}

// Lengths of the parts of the headers that have a meaning, in bytes.
const (
	mainBytes = 176
	slotBytes = 64
)

// headerBytes are the defined bytes of the three headers, in hex. Those of an
// encrypted slot end inside its ciphertext.
func headerBytes(h *duckfile.Headers) string {
	var parts []string
	for i, n := range []int{mainBytes, slotBytes, slotBytes} {
		off := i * duckfile.HeaderSize
		parts = append(parts, hex.EncodeToString(h.Raw[off:off+n]))
	}
	return strings.Join(parts, " ")
}
