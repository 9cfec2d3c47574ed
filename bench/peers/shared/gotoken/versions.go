package gotoken

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// PrintVersions prints what the running program was built from, a line each: Go, and the modules of these paths.
func PrintVersions(paths ...string) {
	fmt.Println("Go", strings.TrimPrefix(runtime.Version(), "go"))
	built, _ := debug.ReadBuildInfo()
	for _, module := range built.Deps {
		if slices.Contains(paths, module.Path) {
			_, name, _ := strings.Cut(module.Path, "/")
			fmt.Println(name, strings.TrimPrefix(module.Version, "v"))
		}
	}
}
