package reports

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/canyu/canyu"
)

// Why a signature is none.
var (
	ErrSignature  = errors.New("the signature is not that of this file: one of them was changed")
	ErrUnknownKey = errors.New("the signature was made with another key")
	ErrNoSigning  = errors.New("this is no signature of a report")
)

// PublicKey is what a report's signature can be checked with, by anybody.
type PublicKey struct {
	Key   ed25519.PublicKey
	Label string // its id in the settings, where they are known
}

// ID names the key in signatures: a hash of it, so nobody has to give names out.
func (k PublicKey) ID() string { return hex.EncodeToString(k.number()) }

func (k PublicKey) number() []byte {
	sum := sha256.Sum256(k.Key)
	return sum[:8]
}

const publicKeyBlock = "PUBLIC KEY"

// PEM is the key as openssl and most others read it.
func (k PublicKey) PEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.Key)
	if err != nil {
		return nil // never, of an Ed25519 key
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicKeyBlock, Bytes: der})
}

// Signify is the key as signify reads it.
func (k PublicKey) Signify() []byte {
	b := append([]byte("Ed"), k.number()...)
	return fmt.Appendf(nil, "untrusted comment: canyu report key %s\n%s\n", k.ID(), base64.StdEncoding.EncodeToString(append(b, k.Key...)))
}

// ParsePublicKeys reads keys, one after the other, as PEM or Signify write them.
func ParsePublicKeys(text []byte) ([]PublicKey, error) {
	var keys []PublicKey
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		found, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cannot read the key: %w", err)
		}
		key, ok := found.(ed25519.PublicKey)
		if !ok {
			return nil, errors.New("cannot read the key: want one of Ed25519")
		}
		keys = append(keys, PublicKey{Key: key})
	}
	for line := range strings.Lines(string(text)) {
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err == nil && len(b) == 2+8+ed25519.PublicKeySize && string(b[:2]) == "Ed" {
			keys = append(keys, PublicKey{Key: b[10:]})
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("cannot read the key: there is none in it")
	}
	return keys, nil
}

// Signer signs reports. The site's secret gives its keys, one for each id, so every
// node has the same and none has to be kept; an id put in front of the others is a
// new key, and what the others signed stays signed.
type Signer struct {
	public  []PublicKey
	private ed25519.PrivateKey // of the first; nil where there is none
}

// NewSigner derives the keys; the first id signs.
func NewSigner(secret []byte, ids ...string) *Signer {
	s := &Signer{}
	for _, id := range ids {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("canyu report key\x00" + id))
		key := ed25519.NewKeyFromSeed(h.Sum(nil))
		if s.private == nil {
			s.private = key
		}
		s.public = append(s.public, PublicKey{Key: key.Public().(ed25519.PublicKey), Label: id})
	}
	return s
}

// Keys are all of them, the one that signs first.
func (s *Signer) Keys() []PublicKey {
	if s == nil {
		return nil
	}
	return s.public
}

const signatureSize = 2 + 8 + ed25519.SignatureSize

// Sign is report.json.sig for a report.json, in the form of OpenBSD's signify: a
// comment, and in base64 "Ed", the key's number and the signature of the very bytes
// of the file. The comment is signed by nobody; it says of which bytes it is, so that
// a signature finds its report. "" without a key.
func (s *Signer) Sign(body []byte) string {
	if s == nil || s.private == nil {
		return ""
	}
	key := s.public[0]
	b := append([]byte("Ed"), key.number()...)
	b = append(b, ed25519.Sign(s.private, body)...)
	return fmt.Sprintf("untrusted comment: canyu report with SHA-256 %s, key %s\n%s\n", Digest(body), key.ID(), base64.StdEncoding.EncodeToString(b))
}

// Digest names the very bytes of a report.json: its SHA-256.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// CheckSignature is nil where signature is one of body by one of the keys; keyID is
// that of the key it names, if it can be read.
func CheckSignature(body []byte, signature string, keys []PublicKey) (keyID string, err error) {
	b, err := parseSignature(signature)
	if err != nil {
		return "", err
	}
	number := b[2:10]
	for _, k := range keys {
		if !bytes.Equal(k.number(), number) {
			continue
		}
		if ed25519.Verify(k.Key, body, b[10:]) {
			return k.ID(), nil
		}
		return k.ID(), ErrSignature
	}
	return hex.EncodeToString(number), ErrUnknownKey
}

func parseSignature(text string) ([]byte, error) {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), "\n")
	b, err := base64.StdEncoding.DecodeString(lines[len(lines)-1])
	if err != nil || len(b) != signatureSize || string(b[:2]) != "Ed" {
		return nil, ErrNoSigning
	}
	return b, nil
}

// signedBy is the id of the key that a signature names, "" for none.
func signedBy(signature string) string {
	b, err := parseSignature(signature)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(b[2:10])
}

// signatureOf is the signature that says it is of this report, "" for none.
func signatureOf(signatures []canyu.Signature, f *canyu.Frozen) string {
	i := slices.IndexFunc(signatures, func(s canyu.Signature) bool {
		return s.Region == f.Region && s.Day == f.Day && s.Revision == f.Revision && strings.Contains(s.Text, Digest(f.Body))
	})
	if i < 0 {
		return ""
	}
	return signatures[i].Text
}

// thawSigned is Thaw with the signature that was stored for the report.
func thawSigned(ctx context.Context, archive canyu.Archive, a *canyu.Activity, f canyu.Frozen) (*Report, error) {
	r, err := Thaw(a, f)
	if err != nil {
		return nil, err
	}
	signatures, err := archive.Signatures(ctx, a.ID, f.Region)
	if err != nil {
		return nil, err
	}
	r.signature = signatureOf(signatures, &f)
	return r, nil
}

// sign stores the signature of a report that is about to be frozen, and returns it.
// Never of one that is frozen already: it may have been changed since.
func (s *Sender) sign(ctx context.Context, r *Report, body []byte) (string, error) {
	text := s.Signer.Sign(body)
	if text == "" {
		return "", nil
	}
	return text, s.Archive.AddSignature(ctx, canyu.Signature{Activity: r.Activity, Region: r.Region, Day: r.Day, Revision: r.Revision, Text: text})
}
