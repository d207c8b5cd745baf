package mounttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// maker is the command that makes a file system in an image.
type maker struct {
	command []string
	debian  string // package that has it
	atLeast int64  // bytes, below which it refuses
}

var makers = map[string]maker{
	"xfs":   {[]string{"mkfs.xfs", "-q", "-m", "reflink=1"}, "xfsprogs", 300 << 20},
	"btrfs": {[]string{"mkfs.btrfs", "-q"}, "btrfs-progs", 128 << 20},
	"ext4":  {[]string{"mkfs.ext4", "-q", "-F"}, "e2fsprogs", 8 << 20},
}

// Mount mounts a new file system of the type "xfs" (with clones), "btrfs" or
// "ext4", empty but for what mkfs leaves, and returns its mount point. The
// image has sizeBytes, or what the type needs at least, and is sparse. The
// test's end unmounts it; whatever holds files of it open must have ended by a
// later t.Cleanup.
func Mount(t testing.TB, fsType string, sizeBytes int64) string {
	t.Helper()
	m, ok := makers[fsType]
	if !ok {
		t.Fatalf("mounttest: cannot make a file system of the type %q", fsType)
	}
	if _, err := exec.LookPath(m.command[0]); err != nil {
		t.Fatalf("mounttest: %v: install the package %s", err, m.debian)
	}
	dir := t.TempDir()
	image, point := filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	f, err := os.Create(image)
	if err == nil {
		err = f.Truncate(max(sizeBytes, m.atLeast))
	}
	if err != nil {
		t.Fatalf("mounttest: %v", err)
	}
	f.Close()
	run(t, "", append(m.command[:len(m.command):len(m.command)], image)...)
	mount(t, point, fmt.Sprintf("a kernel with %s and loop devices", fsType), "-t", fsType, "-o", "loop", image, point)
	return point
}

// Bind mounts the directory from a second time and returns where. The test's
// end unmounts it.
func Bind(t testing.TB, from string) string {
	t.Helper()
	point := filepath.Join(t.TempDir(), "bind")
	mount(t, point, "bind mounts", "--bind", from, point)
	return point
}

func mount(t testing.TB, point, need string, args ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("mounttest: mounting needs root")
	}
	if err := os.Mkdir(point, 0o755); err != nil {
		t.Fatalf("mounttest: %v", err)
	}
	run(t, "mounting needs the right to mount (CAP_SYS_ADMIN) and "+need, append([]string{"mount"}, args...)...)
	t.Cleanup(func() { unmount(t, point) })
}

// unmount waits a little for whoever is just closing the last file, such as a
// killed process; then it hides the mount, which ends with its last user.
func unmount(t testing.TB, point string) {
	t.Helper()
	err := unix.Unmount(point, 0)
	for tries := 0; err == unix.EBUSY && tries < 50; tries++ {
		time.Sleep(20 * time.Millisecond)
		err = unix.Unmount(point, 0)
	}
	if err == unix.EBUSY {
		t.Logf("mounttest: %s is still in use", point)
		err = unix.Unmount(point, unix.MNT_DETACH)
	}
	if err != nil {
		t.Errorf("mounttest: unmount %s: %v", point, err)
	}
}

func run(t testing.TB, need string, command ...string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("mounttest: %s: %v: %s %s", strings.Join(command, " "), err, out, need)
	}
}
