package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// auditLog is the site's, with its head kept in the data folder: whoever can write to
// a database elsewhere cannot cut the log short unseen.
func (s *settings) auditLog(e *engines, secret []byte) *canyu.AuditLog {
	l := canyu.NewAuditLog(e.ledger, e.archive, secret)
	l.Kept = s.keepAuditHead
	return l
}

// audit writes a line for a command, before it does what the line says.
func (s *settings) audit(ctx context.Context, e *engines, line canyu.AuditEntry) error {
	secret, err := s.secret()
	if err != nil {
		return err
	}
	line.Who = canyu.ByCommand
	return s.auditLog(e, secret).Add(ctx, line)
}

// fileSum names a file by its content, whatever it is called.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	return fmt.Sprintf("file with SHA-256 %x", h.Sum(nil)), nil
}

func (s *settings) auditHeadFile() string { return filepath.Join(s.Data, "audit.head") }

// keepAuditHead is called under the log's claim, so the newest head stays.
func (s *settings) keepAuditHead(h canyu.AuditHead) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	part := s.auditHeadFile() + ".part"
	err = os.MkdirAll(s.Data, 0o700)
	if err == nil {
		err = os.WriteFile(part, append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(part, s.auditHeadFile())
	}
	if err != nil {
		return fmt.Errorf("cannot keep the audit log's head: %w", err)
	}
	return nil
}

// keptAuditHead is the zero AuditHead where this machine has written no line yet.
func (s *settings) keptAuditHead() (h canyu.AuditHead, err error) {
	text, err := os.ReadFile(s.auditHeadFile())
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil {
		return h, fmt.Errorf("cannot read the audit log's head: %w", err)
	}
	return h, nil
}

// auditKeys writes a line where the list of valid link keys is another one than the
// newest line about it says: every link of a key that was taken out is revoked. It
// waits for an archive that comes after the server.
func (s *settings) auditKeys(ctx context.Context, e *engines, secret []byte, log *slog.Logger) error {
	keys := strings.Join(s.Links.Keys, " ")
	for ctx.Err() == nil {
		was, err := auditedKeys(ctx, e.archive)
		if err == nil && was == keys {
			return nil
		}
		if err == nil {
			err = s.auditLog(e, secret).Add(ctx, canyu.AuditEntry{Who: canyu.ByServer, What: canyu.AuditKeys, From: was, To: keys})
		}
		if err == nil {
			return nil
		}
		log.Debug("cannot write down which link keys are valid; trying again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
	return nil
}

func auditedKeys(ctx context.Context, a canyu.AuditArchive) (keys string, err error) {
	for line, err := range a.Audit(ctx) {
		if err != nil {
			return "", err
		}
		if line.What == canyu.AuditKeys {
			keys = line.To
		}
	}
	return keys, nil
}
