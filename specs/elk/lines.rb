# What a line says of its system and its time, checked before an index is named by it.

def register(params)
  @unnamed = params["unnamed"]
  @oldest = params["oldest"]
end

# Small letters, digits, - and _, as an index is named. Whatever else an application calls itself becomes a dash.
def system(name)
  name.to_s.downcase.gsub(/[^a-z0-9_]+/, "-").gsub(/\A[-_]+|-+\z/, "")[0, 42]
end

# An index that is older can only be read: one such line would hold up all that come after it.
def believable?(time)
  age = Time.now.to_f - time.to_f
  age < @oldest && age > -3600
end

def filter(event)
  app = system(event.get("app"))
  event.set("[@metadata][app]", app.empty? ? @unnamed : app)
  # Some formatters name it as Elasticsearch does; then the event has it already. Otherwise that is when it came.
  said = event.get("[@metadata][said]") || event.get("@timestamp")
  unless believable?(said)
    event.tag("_time_not_believed")
    said = LogStash::Timestamp.now
  end
  event.set("@timestamp", said)
  [event]
end
