// Calls a Martlet server with the published ttrpc client, and prints a line for each thing it checked.
//
//	client ADDRESS MODELS          ADDRESS: tcp://HOST:PORT or unix:PATH; MODELS: the directory that is served
//	client ADDRESS MODELS steady   calls without a pause until standard input ends, connects anew when a call is
//	                               refused with Unavailable, and prints what became of the calls as JSON
package main

import (
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/gogo/protobuf/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const tolerance = 1e-6

// The messages, by the numbers of Protos/; the tags are all that the library needs to know.

type column struct {
	Name    string    `protobuf:"bytes,1,opt,name=name,proto3"`
	Doubles []float64 `protobuf:"fixed64,2,rep,packed,name=doubles,proto3"`
	Present []byte    `protobuf:"bytes,7,opt,name=present,proto3"`
}

type scoreRequest struct {
	Model   string    `protobuf:"bytes,1,opt,name=model,proto3"`
	Version string    `protobuf:"bytes,2,opt,name=version,proto3"`
	Rows    uint32    `protobuf:"varint,3,opt,name=rows,proto3"`
	Columns []*column `protobuf:"bytes,4,rep,name=columns,proto3"`
}

type classification struct {
	IntegerLabels  []int64   `protobuf:"varint,2,rep,packed,name=integer_labels,proto3"`
	IntegerClasses []int64   `protobuf:"varint,4,rep,packed,name=integer_classes,proto3"`
	Probabilities  []float32 `protobuf:"fixed32,5,rep,packed,name=probabilities,proto3"`
}

type scoreResponse struct {
	Model          string          `protobuf:"bytes,1,opt,name=model,proto3"`
	Version        string          `protobuf:"bytes,2,opt,name=version,proto3"`
	Rows           uint32          `protobuf:"varint,3,opt,name=rows,proto3"`
	Classification *classification `protobuf:"bytes,6,opt,name=classification,proto3"`
}

type inferTensor struct {
	Name     string  `protobuf:"bytes,1,opt,name=name,proto3"`
	Datatype string  `protobuf:"bytes,2,opt,name=datatype,proto3"`
	Shape    []int64 `protobuf:"varint,3,rep,packed,name=shape,proto3"`
}

type inferRequest struct {
	ModelName string         `protobuf:"bytes,1,opt,name=model_name,proto3"`
	ID        string         `protobuf:"bytes,3,opt,name=id,proto3"`
	Inputs    []*inferTensor `protobuf:"bytes,5,rep,name=inputs,proto3"`
	Raw       [][]byte       `protobuf:"bytes,7,rep,name=raw_input_contents,proto3"`
}

type inferResponse struct {
	ModelName string         `protobuf:"bytes,1,opt,name=model_name,proto3"`
	ID        string         `protobuf:"bytes,3,opt,name=id,proto3"`
	Outputs   []*inferTensor `protobuf:"bytes,5,rep,name=outputs,proto3"`
	Raw       [][]byte       `protobuf:"bytes,6,rep,name=raw_output_contents,proto3"`
}

type metadataResponse struct {
	Name   string         `protobuf:"bytes,1,opt,name=name,proto3"`
	Inputs []*inferTensor `protobuf:"bytes,4,rep,name=inputs,proto3"`
}

// A message of one text; HealthCheckRequest and ModelMetadataRequest are such.
type nameMessage struct {
	Name string `protobuf:"bytes,1,opt,name=name,proto3"`
}

type healthResponse struct {
	Status int32 `protobuf:"varint,1,opt,name=status,proto3"`
}

type nullRequest struct {
	Payload       []byte `protobuf:"bytes,1,opt,name=payload,proto3"`
	ResponseBytes uint32 `protobuf:"varint,2,opt,name=response_bytes,proto3"`
}

type nullResponse struct {
	Payload []byte `protobuf:"bytes,1,opt,name=payload,proto3"`
}

func (m *column) Reset()                   { *m = column{} }
func (m *column) String() string           { return proto.CompactTextString(m) }
func (*column) ProtoMessage()              {}
func (m *scoreRequest) Reset()             { *m = scoreRequest{} }
func (m *scoreRequest) String() string     { return proto.CompactTextString(m) }
func (*scoreRequest) ProtoMessage()        {}
func (m *classification) Reset()           { *m = classification{} }
func (m *classification) String() string   { return proto.CompactTextString(m) }
func (*classification) ProtoMessage()      {}
func (m *scoreResponse) Reset()            { *m = scoreResponse{} }
func (m *scoreResponse) String() string    { return proto.CompactTextString(m) }
func (*scoreResponse) ProtoMessage()       {}
func (m *inferTensor) Reset()              { *m = inferTensor{} }
func (m *inferTensor) String() string      { return proto.CompactTextString(m) }
func (*inferTensor) ProtoMessage()         {}
func (m *inferRequest) Reset()             { *m = inferRequest{} }
func (m *inferRequest) String() string     { return proto.CompactTextString(m) }
func (*inferRequest) ProtoMessage()        {}
func (m *inferResponse) Reset()            { *m = inferResponse{} }
func (m *inferResponse) String() string    { return proto.CompactTextString(m) }
func (*inferResponse) ProtoMessage()       {}
func (m *metadataResponse) Reset()         { *m = metadataResponse{} }
func (m *metadataResponse) String() string { return proto.CompactTextString(m) }
func (*metadataResponse) ProtoMessage()    {}
func (m *nameMessage) Reset()              { *m = nameMessage{} }
func (m *nameMessage) String() string      { return proto.CompactTextString(m) }
func (*nameMessage) ProtoMessage()         {}
func (m *healthResponse) Reset()           { *m = healthResponse{} }
func (m *healthResponse) String() string   { return proto.CompactTextString(m) }
func (*healthResponse) ProtoMessage()      {}
func (m *nullRequest) Reset()              { *m = nullRequest{} }
func (m *nullRequest) String() string      { return proto.CompactTextString(m) }
func (*nullRequest) ProtoMessage()         {}
func (m *nullResponse) Reset()             { *m = nullResponse{} }
func (m *nullResponse) String() string     { return proto.CompactTextString(m) }
func (*nullResponse) ProtoMessage()        {}

const (
	model     = "caravan-response"
	scoring   = "martlet.v1.Scoring"
	inference = "inference.GRPCInferenceService"
	health    = "grpc.health.v1.Health"
)

// golden holds the sample rows: cells (NaN where missing) and the probability of class 1 that XGBoost gave.
type golden struct {
	columns []string
	rows    [][]float64
	expect  []float64
}

func readGolden(path string) (*golden, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	g := &golden{}
	answer := -1
	for i, name := range lines[0] {
		if name == "expected_probability_1" {
			answer = i
		}
		if !strings.HasPrefix(name, "expected_") {
			g.columns = append(g.columns, name)
		}
	}
	for _, line := range lines[1:] {
		row := make([]float64, len(g.columns))
		for i := range row {
			if line[i] == "" {
				row[i] = math.NaN()
			} else if row[i], err = strconv.ParseFloat(line[i], 64); err != nil {
				return nil, err
			}
		}
		expected, err := strconv.ParseFloat(line[answer], 64)
		if err != nil {
			return nil, err
		}
		g.rows = append(g.rows, row)
		g.expect = append(g.expect, expected)
	}
	return g, nil
}

func (g *golden) score(rows []int) *scoreRequest {
	request := &scoreRequest{Model: model, Rows: uint32(len(rows))}
	for i, name := range g.columns {
		c := &column{Name: name, Present: make([]byte, (len(rows)+7)/8)}
		for at, row := range rows {
			value := g.rows[row][i]
			if math.IsNaN(value) {
				value = 0
			} else {
				c.Present[at/8] |= 1 << (at % 8)
			}
			c.Doubles = append(c.Doubles, value)
		}
		request.Columns = append(request.Columns, c)
	}
	return request
}

func (g *golden) infer(input string, rows []int) *inferRequest {
	var raw []byte
	for _, row := range rows {
		for _, value := range g.rows[row] {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(value)))
		}
	}
	tensor := &inferTensor{Name: input, Datatype: "FP32", Shape: []int64{int64(len(rows)), int64(len(g.columns))}}
	return &inferRequest{ModelName: model, ID: "go", Inputs: []*inferTensor{tensor}, Raw: [][]byte{raw}}
}

func (g *golden) compare(rows []int, probabilities []float32, classes int) error {
	if len(probabilities) != len(rows)*classes {
		return fmt.Errorf("%d probabilities for %d rows", len(probabilities), len(rows))
	}
	for at, row := range rows {
		got := float64(probabilities[at*classes+classes-1])
		if math.Abs(got-g.expect[row]) > tolerance {
			return fmt.Errorf("row %d: got %v, expected %v", row, got, g.expect[row])
		}
	}
	return nil
}

func scoreRows(client *ttrpc.Client, g *golden, rows []int) error {
	response := &scoreResponse{}
	if err := client.Call(background, scoring, "Score", g.score(rows), response); err != nil {
		return err
	}
	if response.Classification == nil || len(response.Classification.IntegerClasses) != 2 {
		return fmt.Errorf("not a classification of two classes: %v", response)
	}
	return g.compare(rows, response.Classification.Probabilities, 2)
}

func expect(code codes.Code, err error) error {
	if got := status.Code(err); got != code {
		return fmt.Errorf("expected %v, got %v (%v)", code, got, err)
	}
	if code != codes.OK && status.Convert(err).Message() == "" {
		return fmt.Errorf("%v without a message", code)
	}
	return nil
}

var errWrong = errors.New("a wrong answer")

// steady calls until done is closed. A call is lost when it was sent and got neither an answer nor Unavailable.
func steady(network, address string, g *golden, first int, done <-chan struct{}) map[string]int {
	counts := map[string]int{"answered": 0, "refused": 0, "lost": 0, "wrong": 0, "unreached": 0}
	row := first
	for {
		connection, err := net.Dial(network, address)
		if err != nil {
			counts["unreached"]++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		client := ttrpc.NewClient(connection)
		for err == nil {
			select {
			case <-done:
				client.Close()
				return counts
			default:
			}
			row = (row + 1) % len(g.rows)
			response := &scoreResponse{}
			err = client.Call(background, scoring, "Score", g.score([]int{row}), response)
			if err == nil && (response.Classification == nil ||
				g.compare([]int{row}, response.Classification.Probabilities, 2) != nil) {
				err = errWrong
			}
			switch {
			case err == nil:
				counts["answered"]++
			case err == errWrong:
				counts["wrong"]++
			case status.Code(err) == codes.Unavailable:
				counts["refused"]++
			default:
				counts["lost"]++
				fmt.Fprintln(os.Stderr, "lost:", err)
			}
		}
		client.Close()
	}
}

// steadyAll lets several callers call at once and prints the sums.
func steadyAll(network, address string, g *golden) {
	done := make(chan struct{})
	results := make(chan map[string]int)
	const callers = 4
	for caller := 0; caller < callers; caller++ {
		go func(caller int) { results <- steady(network, address, g, caller*7, done) }(caller)
	}
	io.Copy(io.Discard, os.Stdin)
	close(done)
	sum := map[string]int{}
	for caller := 0; caller < callers; caller++ {
		for name, count := range <-results {
			sum[name] += count
		}
	}
	json.NewEncoder(os.Stdout).Encode(sum)
}

var (
	background = context.Background()
	failed     = false
)

func check(name string, err error) {
	if err != nil {
		failed = true
		fmt.Printf("FAIL %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
	} else {
		fmt.Printf("ok %s\n", name)
	}
}

func main() {
	network, address := "tcp", strings.TrimPrefix(os.Args[1], "tcp://")
	if strings.HasPrefix(os.Args[1], "unix:") {
		network, address = "unix", strings.TrimPrefix(os.Args[1], "unix:")
	}
	g, err := readGolden(filepath.Join(os.Args[2], model, "1", "golden.csv"))
	if err != nil {
		fmt.Println("FAIL golden rows:", err)
		os.Exit(1)
	}
	if len(os.Args) > 3 && os.Args[3] == "steady" {
		steadyAll(network, address, g)
		return
	}
	connection, err := net.Dial(network, address)
	if err != nil {
		fmt.Println("FAIL connect:", err)
		os.Exit(1)
	}
	client := ttrpc.NewClient(connection)
	all := make([]int, len(g.rows))
	for i := range all {
		all[i] = i
	}

	answer := &healthResponse{}
	err = client.Call(background, health, "Check", &nameMessage{}, answer)
	if err == nil && answer.Status != 1 {
		err = fmt.Errorf("status %d, expected 1 (SERVING)", answer.Status)
	}
	check("Health says SERVING", err)

	check("Score answers one row within 1e-6", scoreRows(client, g, all[:1]))
	check("Score answers every golden row within 1e-6", scoreRows(client, g, all))

	metadata := &metadataResponse{}
	err = client.Call(background, inference, "ModelMetadata", &nameMessage{Name: model}, metadata)
	if err == nil && len(metadata.Inputs) != 1 {
		err = fmt.Errorf("%d inputs", len(metadata.Inputs))
	}
	check("ModelMetadata names the input", err)
	if err == nil {
		response := &inferResponse{}
		err = client.Call(background, inference, "ModelInfer", g.infer(metadata.Inputs[0].Name, all), response)
		if err == nil {
			err = fmt.Errorf("no output of two columns")
			for i, output := range response.Outputs {
				if output.Datatype == "FP32" && len(output.Shape) == 2 && output.Shape[1] == 2 {
					values := make([]float32, len(response.Raw[i])/4)
					for at := range values {
						values[at] = math.Float32frombits(binary.LittleEndian.Uint32(response.Raw[i][at*4:]))
					}
					err = g.compare(all, values, 2)
				}
			}
			if response.ID != "go" {
				err = fmt.Errorf("id %q", response.ID)
			}
		}
		check("ModelInfer answers every golden row within 1e-6", err)
	}

	check("an unknown method is Unimplemented", expect(codes.Unimplemented,
		client.Call(background, scoring, "Nonesuch", &nameMessage{}, &nameMessage{})))
	check("an unknown service is Unimplemented", expect(codes.Unimplemented,
		client.Call(background, "no.Such", "Score", &nameMessage{}, &nameMessage{})))
	request := g.score(all[:1])
	request.Model = "nonesuch"
	check("an unknown model is NotFound", expect(codes.NotFound,
		client.Call(background, scoring, "Score", request, &scoreResponse{})))
	request = g.score(all[:1])
	request.Columns[0].Name = "shoe_size"
	check("an unknown column is InvalidArgument", expect(codes.InvalidArgument,
		client.Call(background, scoring, "Score", request, &scoreResponse{})))

	generous, cancel := context.WithTimeout(background, time.Minute)
	check("a call within its deadline is answered", expect(codes.OK,
		client.Call(generous, scoring, "Score", g.score(all), &scoreResponse{})))
	cancel()

	check("a message over 4 MiB is ResourceExhausted", expect(codes.ResourceExhausted,
		client.Call(background, scoring, "Null", &nullRequest{Payload: make([]byte, 4<<20)}, &nullResponse{})))
	null := &nullResponse{}
	err = client.Call(background, scoring, "Null", &nullRequest{ResponseBytes: 3 << 20}, null)
	if err == nil && len(null.Payload) != 3<<20 {
		err = fmt.Errorf("%d bytes", len(null.Payload))
	}
	check("the connection lives on, and 3 MiB come back", err)

	var group sync.WaitGroup
	problems := make(chan error, 16*100)
	for caller := 0; caller < 16; caller++ {
		group.Add(1)
		go func(caller int) {
			defer group.Done()
			for call := 0; call < 100; call++ {
				if err := scoreRows(client, g, all[(caller*7+call)%len(all):][:1]); err != nil {
					problems <- err
				}
			}
		}(caller)
	}
	group.Wait()
	close(problems)
	check("1600 calls of 16 callers on one connection get each its own answer", <-problems)

	client.Close()
	if failed {
		os.Exit(1)
	}
}
