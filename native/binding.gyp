{
  'target_defaults': {
    'cflags': ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow', '-fvisibility=hidden'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-exceptions', '-fno-rtti'],
    'cflags_cc': ['-std=c++20'],
    'include_dirs': ['src']
  },
  'variables': {
    'core_sources': [
      'src/core/affinity.cc',
      'src/core/buffer_region.cc',
      'src/core/client_handshake.cc',
      'src/core/doorman.cc',
      'src/core/event_queue.cc',
      'src/core/handshake.cc',
      'src/core/idle_slices.cc',
      'src/core/image.cc',
      'src/core/inspect.cc',
      'src/core/lends.cc',
      'src/core/loopback_socket.cc',
      'src/core/mapping.cc',
      'src/core/memory_file.cc',
      'src/core/negotiation.cc',
      'src/core/region_messages.cc',
      'src/core/region_plan.cc',
      'src/core/server_handshake.cc',
      'src/core/session.cc',
      'src/core/slice_list.cc',
      'src/core/slice_states.cc',
      'src/core/truncation_guard.cc',
      'src/core/spin.cc',
      'src/core/unix_socket.cc',
      'src/core/wake_up.cc'
    ]
  },
  'targets': [
    {
      'target_name': 'shm',
      'sources': [
        '<@(core_sources)',
        'src/node/addon.cc',
        'src/node/call.cc',
        'src/node/describe.cc',
        'src/node/doorman_object.cc',
        'src/node/freed_memory.cc',
        'src/node/inspect.cc',
        'src/node/loop_handles.cc',
        'src/node/session_loop.cc',
        'src/node/session_memory.cc',
        'src/node/session_messages.cc',
        'src/node/session_object.cc',
        'src/node/socket_send.cc',
        'src/node/turn.cc'
      ],
      # -isystem, so that the warnings above are about our code only.
      'cflags_cc': ['-isystem', "<!(node -p \"require('path').dirname(require.resolve('node-addon-api'))\")"],
      'defines': [
        'NAPI_VERSION=9',
        'NAPI_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        # A worker thread may be terminated inside any call.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'
      ]
    },
    {
      'target_name': 'shm_test',
      'type': 'executable',
      'sources': ['<@(core_sources)', '<!@(ls -1 test/*.cc)'],
      'ldflags': ['-pthread']
    }
  ]
}
