#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A Go program: numabal steps back, the program runs unharmed.
# packages: golang-go
# tier: off
# min-faults: 0
# timeout: 240
# why: Go's runtime makes its system calls itself

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P go > /dev/null || { echo "no go" && exit 77; }
export GOCACHE=$PWD/cache GOPATH=$PWD/path GO111MODULE=off GOFLAGS=
cat > t.go << 'G'
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sort"
	"strings"
	"sync"
)

type P struct{ n *int }

func null(p *P) (r string) {
	defer func() {
		if e := recover(); e != nil {
			r = "recovered"
		}
	}()
	return fmt.Sprint(*p.n)
}

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	sum := map[string]int{}
	for g := 0; g < 50; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			m := map[string]int{}
			for i := 0; i < 20000; i++ {
				m[fmt.Sprintf("k%d", (i*31+g)%997)] += i
			}
			mu.Lock()
			defer mu.Unlock()
			for k, v := range m {
				sum[k] += v
			}
		}(g)
	}
	wg.Wait()
	keys := []string{}
	for k := range sum {
		keys = append(keys, fmt.Sprint(k, sum[k]))
	}
	sort.Strings(keys)
	fmt.Printf("%x\n", sha256.Sum256([]byte(strings.Join(keys, ","))))
	fmt.Println(null(&P{}))
	l, err := net.Listen("unix", "s")
	if err != nil {
		panic(err)
	}
	go func() {
		c, _ := l.Accept()
		io.Copy(c, c)
		c.Close()
	}()
	c, _ := net.Dial("unix", "s")
	go func() {
		c.Write(make([]byte, 3000000))
		c.(*net.UnixConn).CloseWrite()
	}()
	n, _ := io.Copy(io.Discard, c)
	fmt.Println(n)
	out, err := exec.Command("sh", "-c", "echo child; exit 3").Output()
	fmt.Print(string(out), err, "\n")
}
G
go build -o static t.go
go build -ldflags=-linkmode=external -o t t.go 2> /dev/null
$NB_RUN ./t
rm -f s
# It is not loaded into this one, which is linked statically.
$NB_RUN ./static
