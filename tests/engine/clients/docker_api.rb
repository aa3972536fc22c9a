# A day's work with Ruby's docker-api, for clients_test.ts:
# docker_api.rb SOCKET ROOT_TAR BIND_DIR
#
# Prints a line for each thing done; whatever goes wrong is an exception.

require 'docker'
require 'rubygems/package' # which it needs, and leaves to others
require 'stringio'

socket, root, bind = ARGV
Docker.url = "unix://#{socket}"
$stdout.sync = true

def check(got, wanted)
  raise "got #{got.inspect}, wanted #{wanted.inspect}" unless got == wanted
end

puts "version #{Docker.version['Version']}"
Docker.info
image = Docker::Image.import(root)
image.tag('repo' => 'ruby', 'tag' => '1')
check(Docker::Image.exist?('ruby:1'), true)
Docker::Image.all
puts 'import, tag, image list'

network = Docker::Network.create('ruby-net', 'Internal' => true)
web = Docker::Container.create(
  'name' => 'ruby-web', 'Image' => 'ruby:1',
  'Cmd' => ['sh', '-c', 'echo hello; sleep 600'],
  'Env' => ['A=b'], 'Labels' => { 'a' => '1', 'A' => '2' },
  'HostConfig' => {
    'Binds' => ["#{bind}:/b:ro"],
    'Mounts' => [{ 'Type' => 'bind', 'Source' => bind, 'Target' => '/m' }],
    'Tmpfs' => { '/scratch' => 'size=1m' },
    'NetworkMode' => 'ruby-net'
  }
)
web.start
check(web.json['State']['Running'], true)
puts 'network create, create, start'
out, = web.exec(['cat', '/m/note'])
check(out, ["from the host\n"])
out, = web.exec(['cat'], stdin: StringIO.new("said\n"))
check(out, ["said\n"])
sleep 0.1 until web.logs(stdout: true).include?('hello')
puts 'exec, exec -i, logs'
web.store_file('/tmp/up', "up\n")
check(web.read_file('/tmp/up'), "up\n")
web.archive_in("#{bind}/note", '/tmp', overwrite: true)
check(web.changes.any? { |each| each['Path'] == '/tmp/up' }, true)
puts 'cp both ways, diff'
web.pause
web.unpause
web.rename('ruby-renamed')
web.update('RestartPolicy' => { 'Name' => 'unless-stopped' })
web.restart('t' => 0)
web.stats
puts 'pause, unpause, rename, update, restart, stats'
made = web.commit('repo' => 'ruby', 'tag' => '2')
check(made.run('cat /tmp/up').tap(&:wait).logs(stdout: true).include?("up\n"), true)
File.open("#{bind}/export.tar", 'wb') { |file| web.export { |chunk| file.write(chunk) } }
puts 'commit and run it, export'
network.disconnect(web.id)
network.connect(web.id)
web.stop('timeout' => 0)
web.start!
web.kill
web.delete(force: true)
network.delete
Docker::Container.all(all: true).each(&:delete)
puts 'network disconnect and connect, stop, start, kill, rm'

built = Docker::Image.build("FROM ruby:1\nRUN echo built >/made\nLABEL a=b\n")
built.tag('repo' => 'ruby', 'tag' => '3')
Docker::Image.build_from_dir(bind, 't' => 'ruby:4')
once = Docker::Container.create(
  'Image' => 'ruby:4', 'Cmd' => %w[cat /made -], 'Volumes' => { '/b' => {} },
  'OpenStdin' => true, 'StdinOnce' => true,
  'HostConfig' => { 'Binds' => ["#{bind}:/b:ro"] }
)
once.start
check(once.attach(stdin: StringIO.new("said\n"), logs: true).first.join, "built\nsaid\n")
once.wait
once.delete
puts 'build, attach'
Docker::Image.save(['ruby:3'], "#{bind}/saved.tar")
Docker::Image.load("#{bind}/saved.tar")
Docker::Volume.create('ruby-volume').remove
Docker::Volume.all
Docker::Container.prune
Docker::Image.prune
puts 'save, load, volume create and rm, prune'
