package gates

import (
	"bytes"
	"fmt"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// SignatureNamespace is what signatures on proposals are made for (ssh-keygen -Y sign -n sheratan). One made for
// another purpose does not count.
const SignatureNamespace = "sheratan"

// Signature is a detached OpenSSH signature (PROTOCOL.sshsig) and the bytes it was made over: the file as it lay in the
// inbox, all of it.
type Signature struct {
	Armored []byte
	Message []byte
}

// signatureFault is a reason of G0.
type signatureFault struct {
	code, message string
}

func (f *signatureFault) Error() string { return f.code + ": " + f.message }

// Verify checks a signature for a source and returns the fingerprint of the key, which the intake stamps as the signer.
// Where the source demands none, or is unknown, the signer is "" and there is no error. The gate repeats the check.
func (r *Rules) Verify(source string, sig *Signature) (signer string, err error) {
	s := r.sourceOf(source)
	if s == nil || len(s.signers) == 0 || sig == nil {
		return "", nil
	}
	fingerprint, fault := s.verify(sig)
	if fault != nil {
		return "", fault
	}
	return fingerprint, nil
}

// DemandsSignature reports whether proposals of this source must be signed.
func (r *Rules) DemandsSignature(source string) bool {
	s := r.sourceOf(source)
	return s != nil && len(s.signers) > 0
}

// sourceRule is the compiled entry of a source.
type sourceRule struct {
	maxPriority int
	signers     []ssh.PublicKey
}

// parseSigners reads authorized_keys lines.
func parseSigners(lines []string) ([]ssh.PublicKey, error) {
	keys := make([]ssh.PublicKey, 0, len(lines))
	for i, line := range lines {
		key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("/signers/%d: %w; a line as in a .pub file is expected: ssh-ed25519 AAAA… name", i, err)
		}
		if len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("/signers/%d: one key per entry", i)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (s *sourceRule) knows(fingerprint string) bool {
	for _, k := range s.signers {
		if ssh.FingerprintSHA256(k) == fingerprint {
			return true
		}
	}
	return false
}

// verify returns the fingerprint of the key, also where the signature is not accepted but names one.
func (s *sourceRule) verify(sig *Signature) (fingerprint string, fault *signatureFault) {
	defer func() {
		// Both the signature and the key in it come from outside, and the libraries below are not ours.
		if p := recover(); p != nil {
			fault = &signatureFault{"SIGNATURE_INVALID", fmt.Sprintf("the signature cannot be read: %v", p)}
		}
	}()
	parsed, err := sshsig.Unarmor(sig.Armored)
	if err != nil {
		return "", &signatureFault{"SIGNATURE_INVALID", fmt.Sprintf("the signature cannot be read: %v", err)}
	}
	fingerprint = ssh.FingerprintSHA256(parsed.PublicKey)
	for _, key := range s.signers {
		if !bytes.Equal(key.Marshal(), parsed.PublicKey.Marshal()) {
			continue
		}
		if err := sshsig.Verify(bytes.NewReader(sig.Message), parsed, key, parsed.HashAlgorithm, SignatureNamespace); err != nil {
			return fingerprint, &signatureFault{"SIGNATURE_INVALID", fmt.Sprintf("the signature does not fit: %v", err)}
		}
		return fingerprint, nil
	}
	return fingerprint, &signatureFault{"SIGNER_UNKNOWN", fmt.Sprintf("the signature is by %s, which is none of the signers of this source", fingerprint)}
}
