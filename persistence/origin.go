package persistence

import (
	"os"
	"path/filepath"
	"strings"
)

// Place is where a journal lies: the absolute path of its directory, and what names the machine.
type Place struct {
	Directory, Machine string
}

// findPlace names the directory and this machine.
func findPlace(dir string) (Place, error) {
	directory, err := filepath.Abs(dir)
	if err != nil {
		return Place{}, err
	}
	if directory, err = filepath.EvalSymlinks(directory); err != nil {
		return Place{}, err
	}
	machine, err := machineID()
	return Place{Directory: directory, Machine: machine}, err
}

// machineID is the id that the system gave itself when it was installed, else the host name.
func machineID() (string, error) {
	if id, err := os.ReadFile("/etc/machine-id"); err == nil {
		if s := strings.TrimSpace(string(id)); s != "" {
			return s, nil
		}
	}
	return os.Hostname()
}
