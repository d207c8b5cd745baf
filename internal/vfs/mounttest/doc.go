// Package mounttest gives tests file systems of a kind that the machine's own
// disk is not: images mounted over a loop device, and directories mounted a
// second time. It needs Linux, root, a kernel with the file system in it and
// the mkfs command of the file system; a test that lacks one of them fails and
// is told which.
package mounttest
