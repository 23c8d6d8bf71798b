// A server with the published ttrpc library that answers every ModelInfer call with the same bytes: what a team would
// write in Go, without the scoring.
//
//	server ANSWER      prints "listening PORT"; ANSWER: a file with the answer's message
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/containerd/ttrpc"
)

// The message as it lies in the file: the library takes anything that can marshal itself.
type answer struct{ bytes []byte }

func (a *answer) Reset()                   {}
func (a *answer) String() string           { return "" }
func (a *answer) ProtoMessage()            {}
func (a *answer) Marshal() ([]byte, error) { return a.bytes, nil }
func (a *answer) Unmarshal([]byte) error   { return nil }

// The request is unpacked as a Go server would, field by field.
type tensor struct {
	Name     string  `protobuf:"bytes,1,opt,name=name,proto3"`
	Datatype string  `protobuf:"bytes,2,opt,name=datatype,proto3"`
	Shape    []int64 `protobuf:"varint,3,rep,packed,name=shape,proto3"`
}

func (t *tensor) Reset()         { *t = tensor{} }
func (t *tensor) String() string { return t.Name }
func (t *tensor) ProtoMessage()  {}

type request struct {
	Model    string    `protobuf:"bytes,1,opt,name=model_name,proto3"`
	Inputs   []*tensor `protobuf:"bytes,5,rep,name=inputs,proto3"`
	Contents [][]byte  `protobuf:"bytes,7,rep,name=raw_input_contents,proto3"`
}

func (r *request) Reset()         { *r = request{} }
func (r *request) String() string { return r.Model }
func (r *request) ProtoMessage()  {}

func main() {
	bytes, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	constant := &answer{bytes}
	server.Register("inference.GRPCInferenceService", map[string]ttrpc.Method{
		"ModelInfer": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			var message request
			if err := unmarshal(&message); err != nil {
				return nil, err
			}
			return constant, nil
		},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	if err := server.Serve(context.Background(), listener); err != nil {
		panic(err)
	}
}
