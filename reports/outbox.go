package reports

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// outbox puts each mail into a file instead of sending it: to look at, and for a
// first day without a mail server.
type outbox struct {
	post
	dir string
}

func (o *outbox) Mail(_ context.Context, m *Mail) (string, error) {
	msg, err := o.message(m)
	if err != nil {
		return "", err
	}
	name := filepath.Join(o.dir, m.Name+".eml")
	if err := o.write(name, msg.WriteToFile); err != nil {
		return "", &MailError{Later: true, Words: err.Error()}
	}
	return "written to " + filepath.Base(name), nil
}

// write lets nobody see half a mail.
func (o *outbox) write(name string, write func(name string) error) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the outbox: %w", err)
	}
	part := name + ".part"
	if err := write(part); err != nil {
		return fmt.Errorf("cannot write into the outbox: %w", err)
	}
	return os.Rename(part, name)
}
