// Command observability-pod is what pods of the test cluster run that are not of the stack. Without arguments it waits,
// as the container that holds a pod's network. With `app` it is an application: it writes lines of JSON, serves
// metrics at :8000, and sends spans by OTLP to the URL in OTLP. With `dial` and addresses it says which of them answer.
// With `-version` it says its version.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

type object = map[string]any

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	if len(os.Args) > 1 && os.Args[1] == "-version" {
		fmt.Println("observability-pod version 1.0.0")
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "dial" {
		dial(os.Args[2:])
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "app" {
		go app(os.Getenv("OTLP"))
	}
	<-ended
}

// app works once a second: each time it sends a span and writes a line that names its trace.
func app(otlp string) {
	var done atomic.Int64
	http.HandleFunc("/metrics", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, "# TYPE work_done_total counter\nwork_done_total %d\n", done.Load())
	})
	go func() { panic(http.ListenAndServe(":8000", nil)) }()
	client := &http.Client{Timeout: 5 * time.Second}
	for range time.Tick(time.Second) {
		trace, span := identity(16), identity(8)
		sent := "no collector"
		if otlp != "" {
			sent = send(client, otlp, trace, span)
		}
		line, _ := json.Marshal(object{
			"timestamp": time.Now().UTC().Format(time.RFC3339Nano), "level": "info", "message": "work done",
			"trace_id": trace, "span_id": span, "sent": sent, "number": done.Add(1),
		})
		fmt.Println(string(line))
	}
}

// dial connects to each address and writes it, unless nothing answers.
func dial(addresses []string) {
	for _, address := range addresses {
		if connection, err := net.DialTimeout("tcp", address, 2*time.Second); err == nil {
			connection.Close()
			fmt.Println(address)
		}
	}
}

func identity(size int) string {
	bytes := make([]byte, size)
	if _, err := rand.Read(bytes); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%x", bytes)
}

func send(client *http.Client, otlp, trace, span string) string {
	end := time.Now()
	body, _ := json.Marshal(object{"resourceSpans": []object{{
		"resource": object{"attributes": []object{
			{"key": "service.namespace", "value": object{"stringValue": os.Getenv("APP")}},
			{"key": "service.name", "value": object{"stringValue": os.Getenv("SERVICE")}},
		}},
		"scopeSpans": []object{{"spans": []object{{
			"traceId": trace, "spanId": span, "name": "work", "kind": 2,
			"startTimeUnixNano": fmt.Sprint(end.Add(-10 * time.Millisecond).UnixNano()),
			"endTimeUnixNano":   fmt.Sprint(end.UnixNano()),
		}}}},
	}}})
	answer, err := client.Post(otlp+"/v1/traces", "application/json", bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	return answer.Status
}
