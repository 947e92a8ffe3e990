package gates_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

const noop = `{"payload":{"kind":"noop","params":{}}}`

func noopDigest(t *testing.T) string {
	t.Helper()
	b, err := schemas.Canonical([]byte(`{"kind":"noop","params":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	return schemas.Digest(b)
}

// codes lists the codes that one gate gives, in order.
func codes(r job.Report, gate string) []string {
	out := []string{}
	for _, g := range r.Gates {
		if g.GateID == gate {
			for _, x := range g.Reasons {
				out = append(out, x.Code)
			}
		}
	}
	return out
}

func TestBarrier(t *testing.T) {
	digest := noopDigest(t)
	strict := func(c *gates.Config) {
		delete(c.Sources, "*")
		c.Sources["ci"] = gates.Source{MaxPriority: "low"}
		c.Limits.Depth, c.Limits.Children = 2, 3
	}
	tests := []struct {
		name   string
		config func(*gates.Config)
		change func(*gates.Input)
		want   []string
		action job.NextAction
	}{
		{"plain", nil, func(in *gates.Input) {}, nil, job.Allow},
		{"regular", nil, func(in *gates.Input) { in.FileType = gates.Regular }, nil, job.Allow},
		{"symlink", nil, func(in *gates.Input) { in.FileType = gates.Symlink; in.Value = nil }, []string{"NOT_REGULAR"}, job.Quarantine},
		{"fifo", nil, func(in *gates.Input) { in.FileType = gates.FIFO; in.Value = nil }, []string{"NOT_REGULAR"}, job.Quarantine},
		{"unheard of type", nil, func(in *gates.Input) { in.FileType = "door"; in.Value = nil }, []string{"NOT_REGULAR"}, job.Quarantine},
		{"no entry, but *", nil, func(in *gates.Input) { in.Intake.Provenance.Source = "agent-7" }, nil, job.Allow},
		{"no entry, no *", strict, func(in *gates.Input) {}, []string{"UNKNOWN_SOURCE"}, job.Quarantine},
		{"entry, no *", strict, func(in *gates.Input) { in.Intake.Provenance.Source = "ci" }, []string{}, job.RequireOperatorAck}, // its priority
		{"the source *", nil, func(in *gates.Input) { in.Intake.Provenance.Source = "*" }, []string{"UNKNOWN_SOURCE"}, job.Quarantine},
		{"no source", nil, func(in *gates.Input) { in.Intake.Provenance.Source = "" }, []string{"UNKNOWN_SOURCE"}, job.Quarantine},
		{"output", nil, func(in *gates.Input) { in.Intake.Provenance.Zone = job.ZoneOutput }, []string{"FROM_OUTPUT"}, job.RequireLLM2},
		{"depth at the limit", nil, func(in *gates.Input) { in.Intake.Provenance.Depth = 3 }, nil, job.Allow},
		{"depth over it", nil, func(in *gates.Input) { in.Intake.Provenance.Depth = 4 }, []string{"DEPTH_EXCEEDED"}, job.Quarantine},
		{"last child", nil, func(in *gates.Input) { in.Intake.Provenance.ParentID = "p"; in.Facts.Siblings = 31 }, nil, job.Allow},
		{"one more", nil, func(in *gates.Input) { in.Intake.Provenance.ParentID = "p"; in.Facts.Siblings = 32 },
			[]string{"CHILDREN_EXCEEDED"}, job.Quarantine},
		{"mission", nil, func(in *gates.Input) { in.Facts.MissionJobs, in.Facts.MissionLimit = 5, 5 }, []string{"MISSION_BUDGET"}, job.Quarantine},
		{"same again", nil, func(in *gates.Input) {
			in.Facts.SameID = &gates.Known{ID: "job-1", Source: "inbox", PayloadSHA256: digest, Exists: true}
		}, nil, job.Allow},
		{"same id, other payload", nil, func(in *gates.Input) {
			in.Facts.SameID = &gates.Known{ID: "job-1", Source: "inbox", PayloadSHA256: "ff", Exists: true}
		}, []string{"ID_REUSED"}, job.Quarantine},
		{"same id, other source", nil, func(in *gates.Input) {
			in.Facts.SameID = &gates.Known{ID: "job-1", Source: "other", PayloadSHA256: digest, Exists: true}
		}, []string{"ID_REUSED"}, job.Quarantine},
		{"id of a task", nil, func(in *gates.Input) { in.Facts.Reserved = "nightly" }, []string{"ID_RESERVED"}, job.Quarantine},
		{"same key, same payload", nil, func(in *gates.Input) {
			in.Facts.SameKey = &gates.Known{ID: "x", Source: "inbox", PayloadSHA256: digest, Exists: true}
		}, nil, job.Allow},
		{"same key, other payload", nil, func(in *gates.Input) {
			in.Facts.SameKey = &gates.Known{ID: "x", Source: "inbox", PayloadSHA256: "ff", Exists: true}
		}, []string{"KEY_REUSED"}, job.Quarantine},
		{"key of the revised job", nil, func(in *gates.Input) {
			in.Intake.Revises = "x"
			in.Facts.SameKey = &gates.Known{ID: "x", Source: "inbox", PayloadSHA256: "ff", Exists: true}
		}, nil, job.Allow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := input(noop)
			tt.change(&in)
			r := newBench(t, tt.config).rules.Evaluate(context.Background(), in)
			if got := codes(r, "G0"); !slices.Equal(got, append([]string{}, tt.want...)) {
				t.Errorf("reasons %v, want %v", got, tt.want)
			}
			if r.NextAction != tt.action {
				t.Errorf("next action %s, want %s\n%s", r.NextAction, tt.action, dump(r))
			}
			if len(r.Gates) != 5 {
				t.Errorf("%d gates", len(r.Gates))
			}
		})
	}
}

func TestSignatures(t *testing.T) {
	signer, stranger := newSigner(t), newSigner(t)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " ci@example"
	b := newBench(t, func(c *gates.Config) {
		c.Sources["ci"] = gates.Source{MaxPriority: "normal", Signers: []string{line}}
	})
	if !b.rules.DemandsSignature("ci") || b.rules.DemandsSignature("inbox") {
		t.Error("ci demands a signature, inbox does not")
	}
	sign := func(s ssh.Signer, message, namespace string) *gates.Signature {
		sig, err := sshsig.Sign(strings.NewReader(message), s, sshsig.HashSHA512, namespace)
		if err != nil {
			t.Fatal(err)
		}
		return &gates.Signature{Armored: sshsig.Armor(sig), Message: []byte(noop)}
	}
	tests := []struct {
		name   string
		sig    *gates.Signature
		signer string // stamped
		want   []string
	}{
		{"signed", sign(signer, noop, "sheratan"), "", nil},
		{"missing", nil, "", []string{"SIGNATURE_MISSING"}},
		{"other bytes", sign(signer, noop+" ", "sheratan"), "", []string{"SIGNATURE_INVALID"}},
		{"other namespace", sign(signer, noop, "git"), "", []string{"SIGNATURE_INVALID"}},
		{"stranger", sign(stranger, noop, "sheratan"), "", []string{"SIGNER_UNKNOWN"}},
		{"garbage", &gates.Signature{Armored: []byte("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n")}, "", []string{"SIGNATURE_INVALID"}},
		{"empty", &gates.Signature{}, "", []string{"SIGNATURE_INVALID"}},
		{"stamped", nil, ssh.FingerprintSHA256(signer.PublicKey()), nil},
		{"stamped, key withdrawn since", nil, ssh.FingerprintSHA256(stranger.PublicKey()), []string{"SIGNER_UNKNOWN"}},
		{"a bad one now outweighs the stamp", sign(stranger, noop, "sheratan"), ssh.FingerprintSHA256(signer.PublicKey()), []string{"SIGNER_UNKNOWN"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := input(noop)
			in.Intake.Provenance.Source, in.Intake.Provenance.Signer = "ci", tt.signer
			in.Signature = tt.sig
			r := b.rules.Evaluate(context.Background(), in)
			if got := codes(r, "G0"); !slices.Equal(got, append([]string{}, tt.want...)) {
				t.Errorf("reasons %v, want %v\n%s", got, tt.want, dump(r))
			}
			stamp, err := b.rules.Verify("ci", tt.sig)
			if good := tt.sig != nil && tt.name == "signed"; good != (stamp != "") || good != (err == nil && tt.sig != nil) {
				t.Errorf("Verify = %q, %v", stamp, err)
			}
		})
	}
}

// TestSSHKeygen takes a signature that OpenSSH made.
func TestSSHKeygen(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "p.json")
	if err := os.WriteFile(file, []byte(noop), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-q", "-t", "ed25519", "-N", "", "-f", key},
		{"-q", "-Y", "sign", "-n", "sheratan", "-f", key, file},
	} {
		if out, err := exec.Command(keygen, args...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
		}
	}
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	sig, err := os.ReadFile(file + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *gates.Config) {
		c.Sources["inbox"] = gates.Source{MaxPriority: "normal", Signers: []string{string(bytes.TrimSpace(pub))}}
	})
	in := input(noop)
	in.Signature = &gates.Signature{Armored: sig, Message: []byte(noop)}
	if r := b.rules.Evaluate(context.Background(), in); !r.Approved() {
		t.Error(dump(r))
	}
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
