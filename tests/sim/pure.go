package sim

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
)

// Pure is a core that is watched: Decide and Resume must leave the state as it was.
func Pure[S any](core durable.Core[S], report func(error)) durable.Core[S] {
	return watched[S]{core, report}
}

type watched[S any] struct {
	durable.Core[S]
	report func(error)
}

func (w watched[S]) Decide(s S, m durable.Message, env durable.Env) durable.Outcome {
	defer w.compare(s, w.Snapshot(s), env, m.Body)
	return w.Core.Decide(s, m, env)
}

func (w watched[S]) Resume(s S, env durable.Env) durable.Outcome {
	defer w.compare(s, w.Snapshot(s), env, "Resume")
	return w.Core.Resume(s, env)
}

func (w watched[S]) compare(s S, before proto.Message, env durable.Env, on any) {
	if after := w.Snapshot(s); !bytes.Equal(encoded(before), encoded(after)) {
		w.report(fmt.Errorf("%s: deciding on %T changed the state from {%v} to {%v}", env.Self(), on, before, after))
	}
}
