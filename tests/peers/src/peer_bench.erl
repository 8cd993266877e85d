%% The same work in Erlang/OTP. Reads a line that names a work, does one round of it and prints
%% the microseconds it took. The remote counter lives on a second node on this machine.
-module(peer_bench).
-export([main/0, counter/1]).

-define(TELLS, 100000).
-define(BURST, 1000).
-define(ASKS, 10000).

main() ->
    Local = spawn(?MODULE, counter, [0]),
    Remote = remote(),
    io:format("ready ~p~n", [Remote =/= none]),
    serve(Local, Remote).

%% A second node over TCP; without one (no epmd, no network) remote work is left out.
remote() ->
    try
        Folder = filename:dirname(code:which(?MODULE)),
        {ok, _, Node} = peer:start(#{name => peer:random_name(), host => "127.0.0.1",
                                     longnames => true, args => ["-pa", Folder]}),
        spawn(Node, ?MODULE, counter, [0])
    catch
        _:_ -> none
    end.

serve(Local, Remote) ->
    case io:get_line("") of
        eof -> halt();
        Line ->
            Took = case string:trim(Line) of
                "local_tell" -> timed(fun() -> tells(Local, ?TELLS div ?BURST) end);
                "local_ask" -> timed(fun() -> asks(Local, ?ASKS) end);
                "remote_tell" -> remotely(Remote, fun() -> tells(Remote, ?TELLS div ?BURST) end);
                "remote_ask" -> remotely(Remote, fun() -> asks(Remote, ?ASKS) end)
            end,
            io:format("~p~n", [Took]),
            serve(Local, Remote)
    end.

remotely(none, _) -> none;
remotely(_, Work) -> timed(Work).

timed(Work) ->
    {Microseconds, _} = timer:tc(Work),
    Microseconds.

counter(Heard) ->
    receive
        {add, Number} -> counter(Heard + Number);
        {heard, From, Reference} ->
            From ! {Reference, Heard},
            counter(Heard)
    end.

tells(_, 0) -> ok;
tells(Pid, Bursts) ->
    burst(Pid, ?BURST),
    ask(Pid),
    tells(Pid, Bursts - 1).

burst(_, 0) -> ok;
burst(Pid, Left) ->
    Pid ! {add, 1},
    burst(Pid, Left - 1).

asks(_, 0) -> ok;
asks(Pid, Left) ->
    ask(Pid),
    asks(Pid, Left - 1).

ask(Pid) ->
    Reference = make_ref(),
    Pid ! {heard, self(), Reference},
    receive {Reference, Heard} -> Heard end.
