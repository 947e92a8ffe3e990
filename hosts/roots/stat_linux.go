package roots

import "golang.org/x/sys/unix"

// dirFlags opens a directory to walk through it: nothing is read, so search permission is enough.
const dirFlags = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC

const statMask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_NLINK | unix.STATX_INO | unix.STATX_SIZE |
	unix.STATX_MNT_ID

// statAt describes name in dirfd without following it; the empty name is dirfd itself.
func statAt(dirfd int, name string) (info, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	for {
		err := unix.Statx(dirfd, name, flags, statMask, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return info{}, err
		}
		break
	}
	return info{
		ident: ident{dev: unix.Mkdev(st.Dev_major, st.Dev_minor), ino: st.Ino},
		mode:  uint32(st.Mode),
		nlink: uint64(st.Nlink),
		size:  int64(st.Size),
		mount: st.Mnt_id,
	}, nil
}

// lookup opens whatever name is in dirfd, without following it and without any effect on it, and describes it.
func lookup(dirfd int, name string) (int, info, error) {
	fd, err := openAt(dirfd, name, dirFlags, 0)
	if err != nil {
		return -1, info{}, err
	}
	in, err := statAt(fd, "")
	if err != nil {
		unix.Close(fd)
		return -1, info{}, err
	}
	return fd, in, nil
}

// renameNoReplace renames from to to in dirfd unless to exists.
func renameNoReplace(dirfd int, from, to string) error {
	err := unix.Renameat2(dirfd, from, dirfd, to, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.ENOTSUP {
		return linkNoReplace(dirfd, from, to)
	}
	return err
}
