package vfs

import "fmt"

// kinds are the answers of statfs(2) by which a file system is known. The
// numbers are those of linux/magic.h unless a comment names another place. An
// overlay is local: its files are read through the kernel that writes them.
var kinds = map[uint32]FSKind{
	0x0000ef53: {Name: "ext4"},      // EXT4_SUPER_MAGIC, which ext2 and ext3 share
	0x58465342: {Name: "xfs"},       // XFS_SUPER_MAGIC
	0x9123683e: {Name: "btrfs"},     // BTRFS_SUPER_MAGIC
	0x2fc12fc1: {Name: "zfs"},       // ZFS_SUPER_MAGIC of OpenZFS, zfs_vfsops.h
	0xf2f52010: {Name: "f2fs"},      // F2FS_SUPER_MAGIC
	0xca451a4e: {Name: "bcachefs"},  // BCACHEFS_SUPER_MAGIC
	0x01021994: {Name: "tmpfs"},     // TMPFS_MAGIC
	0x858458f6: {Name: "ramfs"},     // RAMFS_MAGIC
	0x958458f6: {Name: "hugetlbfs"}, // HUGETLBFS_MAGIC
	0x794c7630: {Name: "overlay"},   // OVERLAYFS_SUPER_MAGIC
	0x61756673: {Name: "aufs"},      // AUFS_SUPER_MAGIC of aufs, uapi/linux/aufs_type.h
	0x0000f15f: {Name: "ecryptfs"},  // ECRYPTFS_SUPER_MAGIC
	0x3153464a: {Name: "jfs"},       // JFS_SUPER_MAGIC, fs/jfs/jfs_superblock.h
	0x52654973: {Name: "reiserfs"},  // REISERFS_SUPER_MAGIC
	0x00003434: {Name: "nilfs2"},    // NILFS_SUPER_MAGIC
	0x7366746e: {Name: "ntfs3"},     // fs/ntfs3/super.c
	0x5346544e: {Name: "ntfs"},      // NTFS_SB_MAGIC, fs/ntfs/ntfs.h up to Linux 6.8
	0x00004d44: {Name: "vfat"},      // MSDOS_SUPER_MAGIC
	0x2011bab0: {Name: "exfat"},     // EXFAT_SUPER_MAGIC
	0x00004244: {Name: "hfs"},       // HFS_SUPER_MAGIC, fs/hfs/hfs.h
	0x0000482b: {Name: "hfsplus"},   // HFSPLUS_VOLHEAD_SIG, fs/hfsplus/hfsplus_raw.h
	0x73717368: {Name: "squashfs"},  // SQUASHFS_MAGIC
	0xe0f5e1e2: {Name: "erofs"},     // EROFS_SUPER_MAGIC_V1
	0x00009660: {Name: "iso9660"},   // ISOFS_SUPER_MAGIC
	0x15013346: {Name: "udf"},       // UDF_SUPER_MAGIC
	0x24051905: {Name: "ubifs"},     // UBIFS_SUPER_MAGIC, fs/ubifs/ubifs.h

	// Over a network, or by disks that several machines share.
	0x00006969: {"nfs", true},     // NFS_SUPER_MAGIC
	0xff534d42: {"cifs", true},    // CIFS_SUPER_MAGIC
	0xfe534d42: {"smb2", true},    // SMB2_SUPER_MAGIC
	0x0000517b: {"smbfs", true},   // SMB_SUPER_MAGIC
	0x00c36400: {"ceph", true},    // CEPH_SUPER_MAGIC
	0x5346414f: {"openafs", true}, // AFS_SUPER_MAGIC
	0x6b414653: {"afs", true},     // AFS_FS_MAGIC
	0x73757245: {"coda", true},    // CODA_SUPER_MAGIC
	0x0000564c: {"ncpfs", true},   // NCP_SUPER_MAGIC
	0x7461636f: {"ocfs2", true},   // OCFS2_SUPER_MAGIC
	0x01161970: {"gfs2", true},    // GFS2_MAGIC, linux/gfs2_ondisk.h
	0x0bd00bd0: {"lustre", true},  // LL_SUPER_MAGIC of Lustre, lustre_user.h
	0x47504653: {"gpfs", true},    // "GPFS", as fs.h of coreutils lists it
	0x19830326: {"beegfs", true},  // BEEGFS_MAGIC of BeeGFS, the same
	0x20030528: {"pvfs2", true},   // ORANGEFS_SUPER_MAGIC, fs/orangefs
	0xaad7aaea: {"panfs", true},   // as fs.h of coreutils lists it
	0xbeefdead: {"snfs", true},    // the same
	0x61636673: {"acfs", true},    // the same
	0x65735546: {"fuse", true},    // FUSE_SUPER_MAGIC, virtiofs included
	0x01021997: {"9p", true},      // V9FS_MAGIC
	0x786f4256: {"vboxsf", true},  // VBOXSF_SUPER_MAGIC, fs/vboxsf/super.c
	0xbacbacbc: {"vmhgfs", true},  // HGFS_SUPER_MAGIC of VMware's tools
	0x7c7c6673: {"prl_fs", true},  // of Parallels' tools, as fs.h of coreutils lists it
	0x00c0ffee: {"hostfs", true},  // HOSTFS_SUPER_MAGIC
	0x53464846: {"wslfs", true},   // of the first WSL, as fs.h of coreutils lists it
}

func kindOfMagic(magic uint32) FSKind {
	if kind, ok := kinds[magic]; ok {
		return kind
	}
	return FSKind{Name: fmt.Sprintf("%#x", magic)}
}
