package gotoken

import (
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
)

// PrintVersions prints what the running program was built from, a line each: Go, and every module that has a version.
func PrintVersions() {
	fmt.Println("Go", strings.TrimPrefix(runtime.Version(), "go"))
	built, _ := debug.ReadBuildInfo()
	for _, module := range built.Deps {
		if module.Replace == nil {
			fmt.Println(nameOf(module.Path), strings.TrimPrefix(module.Version, "v"))
		}
	}
}

// nameOf returns what people call a module: the last part of its path, or for a major version the two last.
func nameOf(module string) string {
	name := path.Base(module)
	if parent := path.Base(path.Dir(module)); len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		return parent
	}
	return name
}
