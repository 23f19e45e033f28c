// One HTTP/3 request, for http3_test.cpp. Prints the status, the headers, a blank line and the body.
//
//	http3_client [-method POST] [-body FILE [-no-length]] [-leave-after 500ms] URL [HEADER: VALUE]...
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/lucas-clemente/quic-go/http3"
)

// Its length is not known to the client.
type stream struct{ io.Reader }

func run() error {
	method := flag.String("method", "POST", "")
	bodyFile := flag.String("body", "", "a file; none: no body")
	noLength := flag.Bool("no-length", false, "send no content-length")
	leaveAfter := flag.Duration("leave-after", 20*time.Second, "cancel the request then")
	flag.Parse()
	var body io.Reader
	if *bodyFile != "" {
		file, err := os.ReadFile(*bodyFile)
		if err != nil {
			return err
		}
		body = strings.NewReader(string(file))
		if *noLength {
			body = stream{body}
		}
	}
	whole, cancel := context.WithTimeout(context.Background(), *leaveAfter)
	defer cancel()
	request, err := http.NewRequestWithContext(whole, *method, flag.Arg(0), body)
	if err != nil {
		return err
	}
	if *noLength {
		request.ContentLength = -1
	}
	for _, header := range flag.Args()[1:] {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	// The certificate is the test's own.
	transport := &http3.RoundTripper{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.Close()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	fmt.Printf("%d\n", answer.StatusCode)
	for name, values := range answer.Header {
		for _, value := range values {
			fmt.Printf("%s: %s\n", name, value)
		}
	}
	fmt.Printf("\n%s", text)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Println("http3_client:", err)
		os.Exit(1)
	}
}
