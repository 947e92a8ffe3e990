package durable

// FS is a kind of file system.
type FS struct {
	Name    string // as mount(8) names it where that is known, else its number in hex
	Network bool   // other machines may write to it: locks and syncs mean less than they say
}

// networks are the names of file systems that are shared between machines, or with the machine below this one. Through
// FUSE all sorts are offered; those that are known to be networks are listed.
var networks = map[string]bool{
	"nfs": true, "nfs4": true, "cifs": true, "smb": true, "smb2": true, "smb3": true, "smbfs": true, "ncpfs": true,
	"9p": true, "afs": true, "afpfs": true, "webdav": true, "coda": true, "ceph": true, "lustre": true, "gfs2": true,
	"ocfs2": true, "orangefs": true, "beegfs": true, "gpfs": true, "vboxsf": true, "prl_fs": true,
	"fuse.sshfs": true, "fuse.glusterfs": true, "fuse.ceph": true, "fuse.ceph-fuse": true, "fuse.s3fs": true,
	"fuse.rclone": true, "fuse.gcsfuse": true, "fuse.davfs": true, "fuse.davfs2": true, "fuse.vmhgfs-fuse": true,
	"fuse.juicefs": true, "fuse.JuiceFS": true, "fuse.moosefs": true, "fuse.mfs": true, "fuse.lizardfs": true,
	"fuse.curlftpfs": true, "fuse.smbnetfs": true, "fuse.goofys": true, "fuse.grpcfuse": true, "fuse.osxfs": true,
	"macfuse.sshfs": true,
}
